"""`python -m order_to_revenue`, for where the `shop` script isn't on the path."""

from order_to_revenue import run

run()
