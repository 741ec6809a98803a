//! The plots: one of each deed, both axes logarithmic.

use std::{collections::BTreeMap, path::Path};

use anyhow::anyhow;
use plotters::prelude::{
    ChartBuilder, Circle, IntoDrawingArea as _, IntoLogRange as _, LineSeries, PathElement,
    RGBColor, SVGBackend, SeriesLabelPosition, WHITE,
};

use super::Row;

const SIZE: (u32, u32) = (720, 420);

/// Colours that people who see red and green alike can tell apart (Okabe and Ito).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 86, 86),
    RGBColor(230, 159, 0),
];

/// Draws what a deed costs, by size, in milliseconds of the processor; `false` where there is nothing to
/// draw: no times, or one size only.
pub(super) fn write(rows: &[&Row], path: &Path) -> anyhow::Result<bool> {
    let lines = lines(rows);
    let points = || lines.values().flatten();
    let (Some(least), Some(most)) = (
        points().map(|point| point.0).reduce(f64::min),
        points().map(|point| point.0).reduce(f64::max),
    ) else {
        return Ok(false);
    };
    if least >= most {
        return Ok(false);
    }
    let low = points().map(|point| point.1).fold(f64::MAX, f64::min);
    let high = points().map(|point| point.1).fold(0.0, f64::max);
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    let failed = |error: &dyn std::fmt::Display| anyhow!("can't draw {}: {error}", path.display());
    root.fill(&WHITE).map_err(|error| failed(&error))?;
    let mut chart = ChartBuilder::on(&root)
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .build_cartesian_2d(
            (least..most).log_scale(),
            (low / 2.0..high * 2.0).log_scale(),
        )
        .map_err(|error| failed(&error))?;
    chart
        .configure_mesh()
        .x_labels(6)
        .x_label_formatter(&|members| format!("{members:.0}"))
        .max_light_lines(0)
        .x_desc("members")
        .y_desc("ms")
        .draw()
        .map_err(|error| failed(&error))?;
    for ((who, line), colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        let (line, colour) = (line.clone(), *colour);
        let dots = line.iter().map(|point| Circle::new(*point, 3, colour));
        chart.draw_series(dots).map_err(|error| failed(&error))?;
        chart
            .draw_series(LineSeries::new(line, &colour))
            .map_err(|error| failed(&error))?
            .label(*who)
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 16, y)], colour));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE)
        .draw()
        .map_err(|error| failed(&error))?;
    root.present().map_err(|error| failed(&error))?;
    Ok(true)
}

/// The medians of each implementation, by size.
fn lines<'a>(rows: &[&'a Row]) -> BTreeMap<&'a str, Vec<(f64, f64)>> {
    let mut lines: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for row in rows.iter().filter(|row| !row.times.is_empty()) {
        let point = (f64::from(row.members), row.median().as_secs_f64() * 1e3);
        lines.entry(&row.who).or_default().push(point);
    }
    lines
}
