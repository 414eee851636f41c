"""What differs in release 5.4.0; copied over the files of 5.3.0 when that release is built."""
