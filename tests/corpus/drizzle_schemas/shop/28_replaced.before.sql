UPDATE products SET attributes = '{}' WHERE attributes IS NULL;
