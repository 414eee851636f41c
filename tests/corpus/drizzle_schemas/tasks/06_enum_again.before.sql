UPDATE tasks SET state = 'todo' WHERE state NOT IN ('todo', 'doing', 'done');
