-- Signs that asking on hardly pays, as advice. One row: a lane ('all': the whole), for the champion head's newest
-- measurement.
-- p_useful: the chance that one of the next 72 answers of the lane changes the machine's name (Crall 2017), from n_answers;
-- says_stop: 1 where p_useful is below 0.052, or, of the whole, where the newest heads agree (mean kappa of at least 0.99).
-- Of the whole: kappa of the two newest heads on unanswered audit tracks, accuracy gained by the expert's next hour
-- (next_hour, with the limits of 95 in 100) and seconds_per_label. Null: not known yet.
SELECT
    e.model_id,
    CASE WHEN e.slice_kind = 'lane' THEN e.slice_value ELSE 'all' END AS lane,
    MAX(CASE WHEN e.name = 'p_useful' THEN e.n END) AS n_answers,
    MAX(CASE WHEN e.name = 'p_useful' THEN e.value END) AS p_useful,
    MAX(
        CASE
            WHEN e.name = 'p_useful' AND e.value < 0.052 THEN 1
            WHEN e.name = 'is_stable' AND e.value > 0.5 THEN 1
            WHEN e.name IN ('p_useful', 'is_stable') THEN 0
        END
    ) AS says_stop,
    MAX(CASE WHEN e.name = 'kappa' THEN e.value END) AS kappa,
    MAX(CASE WHEN e.name = 'next_hour' THEN e.value END) AS next_hour,
    MAX(CASE WHEN e.name = 'next_hour' THEN e.ci_low END) AS next_hour_low,
    MAX(CASE WHEN e.name = 'next_hour' THEN e.ci_high END) AS next_hour_high,
    MAX(CASE WHEN e.name = 'seconds_per_label' THEN e.value END) AS seconds_per_label
FROM model AS m
INNER JOIN evaluation_metric AS e ON e.model_id = m.model_id AND e.dataset = 'returns'
WHERE
    m.task = 'head'
    AND m.state = 'champion'
    AND e.slice_kind IN ('lane', 'all')
    AND e.watermark_seq = (
        SELECT MAX(n.watermark_seq) FROM evaluation_metric AS n
        WHERE n.model_id = m.model_id AND n.dataset = 'returns'
    )
GROUP BY e.model_id, CASE WHEN e.slice_kind = 'lane' THEN e.slice_value ELSE 'all' END
