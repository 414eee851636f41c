UPDATE tasks SET state = 'todo' WHERE state = 'blocked';
