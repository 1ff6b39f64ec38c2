"""What a browser shows of a counted video (`vision.playing.counted`) whose track is chosen, read from its canvas.

No test belongs here.
"""

from __future__ import annotations

from chimp_assets_tests.vision.playing.counted import BITS

_READ = """
  const BITS = @;
  const canvas = document.querySelector("[data-canvas]");
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const read = () => {
    const { width, height } = canvas;
    const side = Math.floor(width / BITS);
    const top = pen.getImageData(0, Math.floor(height / 12), width, 1).data;
    let shown = 0;
    for (let bit = 0; bit < BITS; bit += 1) shown |= (top[4 * (bit * side + (side >> 1)) + 1] > 128) << bit;
    let left = -1;
    for (const share of [0.55, 0.57, 0.59, 0.61, 0.63]) { // the line may be dashed
      const row = pen.getImageData(0, Math.floor(height * share), width, 1).data;
      for (let x = width - 1; x >= 0; x -= 1) {
        const [r, g, b] = row.subarray(4 * x);
        if (r > 225 && g > 185 && b < 120 && (left < 0 || x < left * width)) left = x / width;
      }
    }
    return [Number(document.body.dataset.frame), shown, left];
  };
""".replace("@", str(BITS))

LOOK = f"() => {{ {_READ} return read(); }}"
"""[number that the page says, number in the picture, share of the width where its box begins or -1], now."""

WATCH = f"""async (most) => {{ {_READ}
  const found = [];
  const end = performance.now() + 20000;
  while (found.length < most && performance.now() < end) {{
    await new Promise(requestAnimationFrame);
    const now = read();
    if (now[0] !== found.at(-1)?.[0]) found.push(now);
  }}
  return found;
}}"""
"""The same, for each of so many pictures that follow."""
