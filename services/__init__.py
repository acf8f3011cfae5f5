"""What each service keeps and carries out, in one transaction, whichever way it is talked to."""
