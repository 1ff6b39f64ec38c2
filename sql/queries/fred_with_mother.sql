-- Which frame shows a young animal with its mother and close family, most certain first?
--
-- Figure 1 of the mission: young Fred (FI) with his mother Fifi (FF). One row: the best frame of a video.
--
-- Parameters:
--   child text = FI: AnimID of the young animal
--   mother text = FF: AnimID of its mother
--   max_age_years number = null: the child is at most this old; null: any age (frames of unknown age only then)
--   min_family integer = 0: at least this many other close relatives in the frame (her other children, her mother, the father)
--   limit integer = 10: at most this many rows
--
-- Topic: families
--
-- The picture: byte_length bytes from byte_offset of shard_uri, a JPEG. Boxes are fractions of it. Years of 365.25 days.
SELECT
    best.place,
    best.joint_probability,
    best.human_reviewed,
    best.n_family,
    best.age_years,
    best.video_uri,
    best.site,
    best.camera,
    best.recorded_at,
    f.time_s,
    best.video_id,
    best.frame_no,
    s.uri AS shard_uri,
    f.byte_offset,
    f.byte_length,
    best.child_x,
    best.child_y,
    best.child_w,
    best.child_h,
    best.mother_x,
    best.mother_y,
    best.mother_w,
    best.mother_h
FROM (
    SELECT
        aged.*,
        ROW_NUMBER() OVER (
            ORDER BY aged.joint_probability DESC, aged.n_family DESC, aged.video_id, aged.frame_no
        ) AS place
    FROM (
        SELECT
            of_video.*,
            v.uri AS video_uri,
            v.site,
            v.camera,
            v.recorded_at,
            (v.day_no - c.born_day_no) / CAST(365.25 AS FLOAT) AS age_years
        FROM (
            SELECT
                shown.*,
                COALESCE(family.n, 0) AS n_family,
                ROW_NUMBER() OVER (
                    PARTITION BY shown.video_id
                    ORDER BY shown.joint_probability DESC, COALESCE(family.n, 0) DESC, shown.frame_no
                ) AS place_in_video
            FROM (
                SELECT
                    child.individual_id AS child_id,
                    child.probability * mother.probability AS joint_probability,
                    CASE WHEN child.source = 'person' AND mother.source = 'person' THEN 1 ELSE 0 END AS human_reviewed,
                    dc.video_id,
                    dc.frame_no,
                    dc.x AS child_x,
                    dc.y AS child_y,
                    dc.w AS child_w,
                    dc.h AS child_h,
                    dm.x AS mother_x,
                    dm.y AS mother_y,
                    dm.w AS mother_w,
                    dm.h AS mother_h
                FROM v_named_track AS child
                INNER JOIN v_named_track AS mother ON mother.video_id = child.video_id
                INNER JOIN detection AS dc ON dc.track_id = child.track_id
                INNER JOIN detection AS dm ON dm.track_id = mother.track_id AND dm.frame_no = dc.frame_no
                WHERE child.anim_id = :child AND mother.anim_id = :mother
            ) AS shown
            LEFT OUTER JOIN (
                SELECT
                    kin.video_id,
                    kin.frame_no,
                    COUNT(DISTINCT kin.individual_id) AS n
                FROM (
                    SELECT
                        n.individual_id,
                        dk.video_id,
                        dk.frame_no
                    FROM individual AS m
                    INNER JOIN individual AS k ON k.mom_id = m.individual_id
                    INNER JOIN v_named_track AS n ON n.individual_id = k.individual_id
                    INNER JOIN detection AS dk ON dk.track_id = n.track_id
                    WHERE m.anim_id = :mother AND k.anim_id <> :child
                    UNION ALL
                    SELECT
                        n.individual_id,
                        dk.video_id,
                        dk.frame_no
                    FROM individual AS m
                    INNER JOIN v_named_track AS n ON n.individual_id = m.mom_id
                    INNER JOIN detection AS dk ON dk.track_id = n.track_id
                    WHERE m.anim_id = :mother
                    UNION ALL
                    SELECT
                        n.individual_id,
                        dk.video_id,
                        dk.frame_no
                    FROM individual AS c
                    INNER JOIN v_named_track AS n ON n.individual_id = c.dad_id
                    INNER JOIN detection AS dk ON dk.track_id = n.track_id
                    WHERE c.anim_id = :child
                ) AS kin
                GROUP BY kin.video_id, kin.frame_no
            ) AS family ON family.video_id = shown.video_id AND family.frame_no = shown.frame_no
            WHERE COALESCE(family.n, 0) >= :min_family
        ) AS of_video
        INNER JOIN v_video_day AS v ON v.video_id = of_video.video_id
        INNER JOIN v_individual_day AS c ON c.individual_id = of_video.child_id
        WHERE of_video.place_in_video = 1
    ) AS aged
    WHERE CAST(:max_age_years AS FLOAT) IS NULL OR aged.age_years <= CAST(:max_age_years AS FLOAT)
) AS best
INNER JOIN frame AS f ON f.video_id = best.video_id AND f.frame_no = best.frame_no
INNER JOIN frame_shard AS s ON s.shard_id = f.shard_id
WHERE best.place <= :limit
ORDER BY best.place
