-- Figure 1 of the mission: young Fred (FI) with his mother Fifi (FF) and close family. Which frame shows them, most
-- certain first? One row: the best frame of a video.
--
-- Parameters: child, mother (AnimIDs),
-- max_age_years (the child is at most this old; null: any age. Frames of unknown age only where it is null),
-- min_family (so many further close relatives are in the frame (maternal siblings, the mother's mother, the father)),
-- limit (so many rows).
--
-- The picture: byte_length bytes from byte_offset of shard_uri, a JPEG. Boxes are fractions of it.
-- Ages by way of text, since the three databases agree on it: they write a moment as 2013-05-06 14:30:00.
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
    best.time_s,
    best.video_id,
    best.frame_no,
    best.shard_uri,
    best.byte_offset,
    best.byte_length,
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
        of_video.*,
        ROW_NUMBER() OVER (
            ORDER BY of_video.joint_probability DESC, of_video.n_family DESC, of_video.video_id, of_video.frame_no
        ) AS place
    FROM (
        SELECT
            shown.*,
            ROW_NUMBER() OVER (
                PARTITION BY shown.video_id
                ORDER BY shown.joint_probability DESC, shown.n_family DESC, shown.frame_no
            ) AS place_in_video
        FROM (
            SELECT
                child.probability * mother.probability AS joint_probability,
                CASE WHEN child.source = 'person' AND mother.source = 'person' THEN 1 ELSE 0 END AS human_reviewed,
                COALESCE(family.n, 0) AS n_family,
                CAST(SUBSTRING(CAST(v.recorded_at AS VARCHAR(30)), 1, 4) AS FLOAT)
                - CAST(SUBSTRING(CAST(c.birth_date AS VARCHAR(30)), 1, 4) AS INTEGER)
                + (
                    CAST(SUBSTRING(CAST(v.recorded_at AS VARCHAR(30)), 6, 2) AS INTEGER)
                    - CAST(SUBSTRING(CAST(c.birth_date AS VARCHAR(30)), 6, 2) AS INTEGER)
                ) / CAST(12 AS FLOAT)
                + (
                    CAST(SUBSTRING(CAST(v.recorded_at AS VARCHAR(30)), 9, 2) AS INTEGER)
                    - CAST(SUBSTRING(CAST(c.birth_date AS VARCHAR(30)), 9, 2) AS INTEGER)
                ) / CAST(365.25 AS FLOAT) AS age_years,
                v.uri AS video_uri,
                v.site,
                v.camera,
                v.recorded_at,
                f.time_s,
                dc.video_id,
                dc.frame_no,
                s.uri AS shard_uri,
                f.byte_offset,
                f.byte_length,
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
            INNER JOIN individual AS c ON c.individual_id = child.individual_id
            INNER JOIN video AS v ON v.video_id = child.video_id
            INNER JOIN frame AS f ON f.video_id = dc.video_id AND f.frame_no = dc.frame_no
            INNER JOIN frame_shard AS s ON s.shard_id = f.shard_id
            LEFT OUTER JOIN (
                SELECT
                    dk.video_id,
                    dk.frame_no,
                    COUNT(DISTINCT kin.individual_id) AS n
                FROM individual AS c
                INNER JOIN individual AS m ON m.anim_id = :mother
                INNER JOIN individual AS k
                    ON k.mom_id = m.individual_id OR k.individual_id = m.mom_id OR k.individual_id = c.dad_id
                INNER JOIN v_named_track AS kin ON kin.individual_id = k.individual_id
                INNER JOIN detection AS dk ON dk.track_id = kin.track_id
                WHERE c.anim_id = :child AND k.individual_id <> c.individual_id AND k.individual_id <> m.individual_id
                GROUP BY dk.video_id, dk.frame_no
            ) AS family ON family.video_id = dc.video_id AND family.frame_no = dc.frame_no
            WHERE child.anim_id = :child AND mother.anim_id = :mother
        ) AS shown
        WHERE
            shown.n_family >= :min_family
            AND (CAST(:max_age_years AS FLOAT) IS NULL OR shown.age_years <= CAST(:max_age_years AS FLOAT))
    ) AS of_video
    WHERE of_video.place_in_video = 1
) AS best
WHERE best.place <= :limit
ORDER BY best.place
