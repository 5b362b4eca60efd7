"""Hook specifications for a user's conftest.py; filled while the rooms are built."""
