UPDATE customers SET first_name = split_part(coalesce(name, ''), ' ', 1), last_name = nullif(substr(coalesce(name, ''), length(split_part(coalesce(name, ''), ' ', 1)) + 2), '');
