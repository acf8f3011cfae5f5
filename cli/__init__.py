"""The `shop` command: the one place where real parts are chosen and put together."""
