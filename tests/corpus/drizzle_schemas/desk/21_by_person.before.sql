DELETE FROM watchers a USING watchers b WHERE a.ctid < b.ctid AND a.ticket_id = b.ticket_id AND a.who = b.who;
