"""A loopback proxy between one migration command and PostgreSQL, that asks a keeper about every statement."""
