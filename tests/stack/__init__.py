import pytest

# So that what isn't as it should be is said there too.
pytest.register_assert_rewrite("tests.stack.attacks", "tests.stack.forgeries", "tests.stack.pages")
