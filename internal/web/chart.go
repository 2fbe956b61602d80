package web

import "time"

const (
	hoursShown  = 24
	barWidth    = 8 // of a column of 10
	chartHeight = 100
)

// chart is the leads per hour of the last day, in the units of its SVG view
// box: a column is 10 wide, the highest bar chartHeight high.
type chart struct {
	Bars  []bar
	Total int64
	// Peak is the number that the top of the chart stands for.
	Peak int64
}

// bar is one hour. A bar that stands for any leads at all can be seen.
type bar struct {
	X, Y, Width, Height int
	Start               time.Time
	Leads               int64
	// Running: the hour is not over yet.
	Running bool
}

// chartOf draws the day that ends with the running hour; hours that are not
// among the given ones had no leads.
func chartOf(hours []Hour, now time.Time) chart {
	leads := map[time.Time]int64{}
	for _, h := range hours {
		leads[h.Start.UTC().Truncate(time.Hour)] += h.Leads
	}
	c := chart{Bars: make([]bar, hoursShown)}
	running := now.UTC().Truncate(time.Hour)
	for i := range c.Bars {
		start := running.Add(time.Duration(i-hoursShown+1) * time.Hour)
		c.Bars[i] = bar{X: 10*i + 1, Width: barWidth, Start: start, Leads: max(leads[start], 0), Running: start.Equal(running)}
		c.Total += c.Bars[i].Leads
		c.Peak = max(c.Peak, c.Bars[i].Leads)
	}
	for i := range c.Bars {
		b := &c.Bars[i]
		if b.Leads > 0 {
			b.Height = max(int(float64(b.Leads)/float64(c.Peak)*chartHeight), 2)
		}
		b.Y = chartHeight - b.Height
	}
	return c
}
