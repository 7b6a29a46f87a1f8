// Package chart lays out small line charts for SVG: where each value of a
// series goes, and what the axes say. The colours are the style sheet's; it
// draws nothing and needs no script.
package chart

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Size of the drawing in its own units; the page scales it.
const (
	Width  = 320.0
	Height = 96.0
	margin = 8.0
)

// Point is one value at one time.
type Point struct {
	Time  time.Time
	Value float64
	Label string // what a reader is told of it: "60 mL/min, 2 Mar 2026"
}

// Dot is a Point's place in the drawing.
type Dot struct {
	X, Y  string
	Label string
}

// Line is a laid-out series.
type Line struct {
	Path        string // the d of an SVG path; "" for fewer than two points
	Dots        []Dot
	Low, High   string // the least and the greatest value
	First, Last string // days
}

// Lay places the points of a series, oldest first whatever their order is. What
// is no number is left out. The points are not changed.
func Lay(points []Point) Line {
	points = slices.DeleteFunc(slices.Clone(points), func(p Point) bool { return math.IsNaN(p.Value) || math.IsInf(p.Value, 0) })
	if len(points) == 0 {
		return Line{}
	}
	slices.SortStableFunc(points, func(a, b Point) int { return a.Time.Compare(b.Time) })
	first, last := points[0].Time, points[len(points)-1].Time
	low, high := points[0].Value, points[0].Value
	for _, p := range points {
		low, high = min(low, p.Value), max(high, p.Value)
	}
	out := Line{Low: number(low), High: number(high), First: day(first), Last: day(last)}
	var steps []string
	for i, p := range points {
		x := place(float64(p.Time.Sub(first)), float64(last.Sub(first)), Width)
		y := Height - place(p.Value-low, high-low, Height)
		out.Dots = append(out.Dots, Dot{coordinate(x), coordinate(y), p.Label})
		command := "L"
		if i == 0 {
			command = "M"
		}
		steps = append(steps, command+coordinate(x)+" "+coordinate(y))
	}
	if len(points) > 1 {
		out.Path = strings.Join(steps, " ")
	}
	return out
}

// place scales a part of a span to a length within its margins; a span of
// nothing is in the middle.
func place(part, span, length float64) float64 {
	if span == 0 {
		return length / 2
	}
	return margin + part/span*(length-2*margin)
}

func coordinate(v float64) string { return fmt.Sprintf("%.1f", v) }

func number(v float64) string { return fmt.Sprintf("%.4g", v) }

func day(t time.Time) string { return t.Format("2 Jan 2006") }
