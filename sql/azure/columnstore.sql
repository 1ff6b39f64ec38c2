-- Optional: a second copy of `detection` and `prediction` by columns, for questions that count over the whole history.
-- The clustered keys stay as they are for training, the page and the queue. Basic and small Standard tiers of Azure SQL
-- refuse it: that is a warning, and every question still has its answer, more slowly.
CREATE NONCLUSTERED COLUMNSTORE INDEX ncci_detection
ON detection (video_id, frame_no, detection_no, track_id, x, y, w, h, score);
GO
CREATE NONCLUSTERED COLUMNSTORE INDEX ncci_prediction
ON prediction (model_id, track_id, rank, individual_id, probability);
