"""Message-driven: the order service asks the payment service and gets an answer back."""
