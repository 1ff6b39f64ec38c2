-- Who was in which party: the parts of v_gbi with group_rule 'day'. One row: an individual at a camera on a day.
-- Windows rather than GROUP BY, as in v_sighting.
SELECT
    w.party_id,
    w.individual_id,
    w.anim_id,
    w.site,
    w.camera,
    w.recorded_on,
    w.sum_seconds AS seconds,
    w.weighed_probability / w.sum_frames AS probability,
    w.any_reviewed AS human_reviewed
FROM (
    SELECT
        p.party_id,
        s.individual_id,
        s.anim_id,
        p.site,
        p.camera,
        p.recorded_on,
        s.video_id,
        MIN(s.video_id) OVER (PARTITION BY p.party_id, s.individual_id, s.anim_id) AS first_video_id,
        SUM(s.seconds_visible) OVER (PARTITION BY p.party_id, s.individual_id, s.anim_id) AS sum_seconds,
        SUM(s.mean_probability * s.n_frames) OVER (PARTITION BY p.party_id, s.individual_id, s.anim_id) AS weighed_probability,
        SUM(s.n_frames) OVER (PARTITION BY p.party_id, s.individual_id, s.anim_id) AS sum_frames,
        MAX(s.human_reviewed) OVER (PARTITION BY p.party_id, s.individual_id, s.anim_id) AS any_reviewed
    FROM v_sighting AS s
    INNER JOIN v_video_party AS p ON p.video_id = s.video_id
) AS w
WHERE w.video_id = w.first_video_id
