"""The pipeline's orders per second, beside Faust as documented and beside a plain batch loop."""
