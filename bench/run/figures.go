package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// series are the figures of several runs.
type series []float64

// quantile is the smallest figure that a share q of all does not exceed.
func (s series) quantile(q float64) float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// median is the middle figure, or the mean of the two in the middle.
func (s series) median() float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// comparison is a row of a table: the same figure of both programs.
type comparison struct {
	what             string
	bare, leadstream series
	format           string
}

// table prints rows in Markdown: medians, what they lie between, and the ratio
// of the medians.
func table(title string, rows ...comparison) {
	fmt.Printf("\n%s\n\n| | bare | leadstream | leadstream / bare |\n| --- | ---: | ---: | ---: |\n", title)
	for _, r := range rows {
		fmt.Printf("| %s | %s | %s | %.2f |\n", r.what, spread(r.bare, r.format), spread(r.leadstream, r.format),
			r.leadstream.median()/r.bare.median())
	}
}

// list prints figures of leadstream alone.
func list(title string, rows ...comparison) {
	fmt.Printf("\n%s\n\n| | leadstream |\n| --- | ---: |\n", title)
	for _, r := range rows {
		fmt.Printf("| %s | %s |\n", r.what, spread(r.leadstream, r.format))
	}
}

// spread is the median, and between which figures it lies when there are some.
func spread(s series, format string) string {
	text := fmt.Sprintf(format, s.median())
	if len(s) > 1 {
		number, _, _ := strings.Cut(format, " ")
		text += fmt.Sprintf(" ("+number+"–"+number+")", slices.Min(s), slices.Max(s))
	}
	return text
}

const mebibyte = 1 << 20

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }
