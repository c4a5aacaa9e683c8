"""What can be done: one module per kind of thing, one function per verb, each one transaction.

Actions that could hand out power take `holding`, the permissions of who acts: nobody grants,
or acts upon, more than they hold.
"""
