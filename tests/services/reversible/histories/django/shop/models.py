"""None: the migrations alone tell what is in the database."""
