UPDATE tickets SET status = 'open' WHERE status = 'waiting';
