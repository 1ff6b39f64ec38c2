-- How much of what is known of each month do people say, and how much the model?
--
-- One row: a month and who names its tracks.
--
-- Parameters: none
--
-- Topic: trust
-- Chart: bar n_tracks by month for source
--
-- source: 'person', 'volunteers' (two who agree) or 'model'. mean_probability: what the model says of its own names.
SELECT
    v.month,
    n.source,
    COUNT(*) AS n_tracks,
    COUNT(DISTINCT n.individual_id) AS n_individuals,
    AVG(n.probability) AS mean_probability
FROM v_named_track AS n
INNER JOIN v_video_day AS v ON v.video_id = n.video_id
WHERE v.month IS NOT NULL
GROUP BY v.month, n.source
ORDER BY v.month, n.source
