-- The runs that wait in a queue whose rules say nothing of keys, in their order.
CREATE INDEX flow_queued_ranked ON flow_queued (queue, rank, run_no) WHERE state = 1;
