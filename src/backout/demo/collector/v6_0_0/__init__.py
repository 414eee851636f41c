"""What differs in release 6.0.0; copied over the files of 5.3.0 when that release is built."""
