-- On which day, and at which moment, each video was recorded, as numbers that can be subtracted. One row: a video that is
-- in the archive (not retired).
-- day_no: Julian day number of recorded_on (Fliegel and Van Flandern 1968), so that a difference is a number of days.
-- unix_s: seconds from 1970-01-01 to recorded_at (UTC). Null where nobody knows.
-- By way of text, since the three databases agree on it: they write a day as 2013-05-06 and a moment as 2013-05-06 14:30:00.
SELECT
    p.video_id,
    p.uri,
    p.site,
    p.camera,
    p.recorded_at,
    p.recorded_at_source,
    p.recorded_on,
    CAST(p.recorded_on AS VARCHAR(10)) AS day,
    SUBSTRING(CAST(p.recorded_on AS VARCHAR(10)), 1, 7) AS month,
    p.day_y AS year,
    1461 * (p.day_y + 4800 + (p.day_m - 14) / 12) / 4
    + 367 * (p.day_m - 2 - (p.day_m - 14) / 12 * 12) / 12
    - 3 * ((p.day_y + 4900 + (p.day_m - 14) / 12) / 100) / 4
    + p.day_d - 32075 AS day_no,
    CAST(
        1461 * (p.at_y + 4800 + (p.at_m - 14) / 12) / 4
        + 367 * (p.at_m - 2 - (p.at_m - 14) / 12 * 12) / 12
        - 3 * ((p.at_y + 4900 + (p.at_m - 14) / 12) / 100) / 4
        + p.at_d - 32075 - 2440588
        AS FLOAT
    ) * 86400
    + 3600 * CAST(SUBSTRING(CAST(p.recorded_at AS VARCHAR(30)), 12, 2) AS INTEGER)
    + 60 * CAST(SUBSTRING(CAST(p.recorded_at AS VARCHAR(30)), 15, 2) AS INTEGER)
    + CAST(SUBSTRING(CAST(p.recorded_at AS VARCHAR(30)), 18, 9) AS FLOAT) AS unix_s,
    p.state,
    p.duration_s,
    p.n_frames,
    p.frame_s
FROM (
    SELECT
        v.*,
        CAST(SUBSTRING(CAST(v.recorded_on AS VARCHAR(10)), 1, 4) AS INTEGER) AS day_y,
        CAST(SUBSTRING(CAST(v.recorded_on AS VARCHAR(10)), 6, 2) AS INTEGER) AS day_m,
        CAST(SUBSTRING(CAST(v.recorded_on AS VARCHAR(10)), 9, 2) AS INTEGER) AS day_d,
        CAST(SUBSTRING(CAST(v.recorded_at AS VARCHAR(30)), 1, 4) AS INTEGER) AS at_y,
        CAST(SUBSTRING(CAST(v.recorded_at AS VARCHAR(30)), 6, 2) AS INTEGER) AS at_m,
        CAST(SUBSTRING(CAST(v.recorded_at AS VARCHAR(30)), 9, 2) AS INTEGER) AS at_d
    FROM video AS v
    WHERE v.state <> 'retired'
) AS p
