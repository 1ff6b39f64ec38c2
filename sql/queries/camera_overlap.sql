-- Which cameras see the same animals?
--
-- One row: two cameras that share an individual, the most alike first.
--
-- Parameters:
--   limit integer = 40: at most this many rows
--
-- Topic: trust
-- Chart: network overlap between one and other
--
-- overlap: individuals of both, of those of either (Jaccard's index).
WITH seen AS MATERIALIZED (
    SELECT DISTINCT
        COALESCE(s.site, '-') AS site,
        s.camera,
        s.individual_id
    FROM v_sighting AS s
    WHERE s.camera IS NOT NULL
),
counted AS (
    SELECT
        c.site,
        c.camera,
        COUNT(*) AS n
    FROM seen AS c
    GROUP BY c.site, c.camera
)
SELECT
    ranked.place,
    ranked.one,
    ranked.other,
    ranked.n_one,
    ranked.n_other,
    ranked.n_both,
    ranked.overlap
FROM (
    SELECT
        REPLACE(REPLACE('<site>/<camera>', '<site>', p.site_a), '<camera>', p.camera_a) AS one,
        REPLACE(REPLACE('<site>/<camera>', '<site>', p.site_b), '<camera>', p.camera_b) AS other,
        a.n AS n_one,
        b.n AS n_other,
        p.n_both,
        CAST(p.n_both AS FLOAT) / (a.n + b.n - p.n_both) AS overlap,
        ROW_NUMBER() OVER (
            ORDER BY
                CAST(p.n_both AS FLOAT) / (a.n + b.n - p.n_both) DESC, p.n_both DESC, p.site_a, p.camera_a, p.site_b, p.camera_b
        ) AS place
    FROM (
        SELECT
            f.site AS site_a,
            f.camera AS camera_a,
            g.site AS site_b,
            g.camera AS camera_b,
            COUNT(*) AS n_both
        FROM seen AS f
        INNER JOIN seen AS g
            ON g.individual_id = f.individual_id AND (g.site > f.site OR (g.site = f.site AND g.camera > f.camera))
        GROUP BY f.site, f.camera, g.site, g.camera
    ) AS p
    INNER JOIN counted AS a ON a.site = p.site_a AND a.camera = p.camera_a
    INNER JOIN counted AS b ON b.site = p.site_b AND b.camera = p.camera_b
) AS ranked
WHERE ranked.place <= :limit
ORDER BY ranked.place
