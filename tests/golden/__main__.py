from tests.golden.facts import write

write()
