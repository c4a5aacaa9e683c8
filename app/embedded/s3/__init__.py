"""The S3 server of the embedded stack: nanio's protocol over a storage that keeps promises.

nanio speaks S3 over plain files. The broker beside it stores its log here and needs more than
nanio gives: conditional writes (without them two producers overwrite each other's messages, and
so does a restart), objects that survive `kill -9` in the middle of a write, and listings that
stay fast. `storage` adds these on nanio's own file layout, `turnstile` keeps a log in order.
"""
