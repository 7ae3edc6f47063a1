"""Line charts as SVG text: panels side by side, logarithmic axes where asked, one legend."""
import math

COLOURS = ("#1b6ca8", "#d1495b", "#66a182", "#edae49", "#6a4c93", "#555555")


def ticks(low, high, log):
    """A handful of round values from low to high."""
    if log:
        first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
        step = max(1, (last - first) // 5)
        return [10.0 ** k for k in range(first, last + 1, step)]
    return [low + (high - low) * k / 4 for k in range(5)]


def text(x, y, words, anchor="middle", size=11):
    return '<text x="%.1f" y="%.1f" text-anchor="%s" font-size="%d">%s</text>' % (x, y, anchor, size, words)


def panel(left, top, width, height, title, lines, xlabel, ylog, xrange, yrange):
    """lines: {name: [(x, y), ...]}, colours in the order of the names; x always logarithmic."""
    x_of = lambda x: left + width * (math.log(x) - math.log(xrange[0])) / (math.log(xrange[1]) - math.log(xrange[0]))
    scale = math.log if ylog else (lambda v: v)
    y_of = lambda y: top + height * (1 - (scale(y) - scale(yrange[0])) / (scale(yrange[1]) - scale(yrange[0])))
    out = ['<rect x="%d" y="%d" width="%d" height="%d" fill="none" stroke="#999"/>' % (left, top, width, height),
           text(left + width / 2, top - 8, title, size=12), text(left + width / 2, top + height + 30, xlabel)]
    for x in ticks(*xrange, True):
        if xrange[0] <= x <= xrange[1]:
            out.append(text(x_of(x), top + height + 14, "%g" % x, size=9))
    for y in ticks(*yrange, ylog):
        if yrange[0] <= y <= yrange[1]:
            out.append(text(left - 4, y_of(y) + 3, "%g" % y, "end", 9))
            out.append('<path d="M%d %.1fh%d" stroke="#eee"/>' % (left, y_of(y), width))
    for (_, points), colour in zip(lines.items(), COLOURS):
        inside = [(min(max(x, xrange[0]), xrange[1]), min(max(y, yrange[0]), yrange[1])) for x, y in points]
        if inside:
            out.append('<path d="M%s" fill="none" stroke="%s" stroke-width="1.6"/>' % (
                "L".join("%.1f %.1f" % (x_of(x), y_of(y)) for x, y in inside), colour))
    return out


def chart(panels, xlabel, ylabel, ylog=False, xrange=None, yrange=None):
    """SVG of panels [(title, {name: [(x, y)]})]; the ranges are shared, or each panel's own where None."""
    width, height, gap = 220, 190, 50
    total = len(panels) * (width + gap) + 30
    out = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d 290" font-family="sans-serif">' % total,
           '<rect width="100%" height="100%" fill="#fff"/>']
    names = []
    for at, (title, lines) in enumerate(panels):
        points = [p for line in lines.values() for p in line]
        if not points:
            continue
        own_x = xrange or (min(p[0] for p in points) / 1.1, max(p[0] for p in points) * 1.1)
        own_y = yrange or (min(p[1] for p in points) / 1.3, max(p[1] for p in points) * 1.3)
        out += panel(50 + at * (width + gap), 30, width, height, title, lines, xlabel if isinstance(xlabel, str)
                     else xlabel[at], ylog, own_x, own_y)
        names += [name for name in lines if name not in names]
    out.append('<text transform="translate(12 125) rotate(-90)" text-anchor="middle" font-size="11">%s</text>' % ylabel)
    for i, name in enumerate(names):
        out.append('<path d="M%d 275h20" stroke="%s" stroke-width="2"/>' % (50 + 150 * i, COLOURS[i % len(COLOURS)]))
        out.append(text(74 + 150 * i, 279, name, "start"))
    return "\n".join(out + ["</svg>"]) + "\n"
