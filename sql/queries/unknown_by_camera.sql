-- At which cameras are the animals that nobody knows?
--
-- One row: a camera, the largest share of unknown animals first.
--
-- Parameters: none
--
-- Topic: trust
-- Chart: bar share_unknown by camera
--
-- n_unknown: tracks that people or the champion head call unknown; share_unknown: of those and the named ones. Many at one
-- camera: neighbours, or pictures too dark to know anybody in.
SELECT
    g.site,
    g.camera,
    g.n_named,
    g.n_unknown,
    g.n_not_looked_at,
    CASE WHEN g.n_named + g.n_unknown > 0 THEN CAST(g.n_unknown AS FLOAT) / (g.n_named + g.n_unknown) END AS share_unknown
FROM (
    SELECT
        v.site,
        v.camera,
        SUM(CASE WHEN t.status = 'identified' THEN 1 ELSE 0 END) AS n_named,
        SUM(CASE WHEN t.status IN ('unknown', 'cannot_tell') THEN 1 ELSE 0 END) AS n_unknown,
        SUM(CASE WHEN t.status = 'unlabelled' THEN 1 ELSE 0 END) AS n_not_looked_at
    FROM v_track_identity AS t
    INNER JOIN video AS v ON v.video_id = t.video_id
    WHERE t.status NOT IN ('not_animal', 'bad_box')
    GROUP BY v.site, v.camera
) AS g
ORDER BY
    CASE WHEN g.n_named + g.n_unknown > 0 THEN CAST(g.n_unknown AS FLOAT) / (g.n_named + g.n_unknown) ELSE -1 END DESC,
    g.camera,
    g.site
