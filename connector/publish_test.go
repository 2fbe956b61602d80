package connector

import (
	"strconv"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"leadstream/internal/delivery"
	"leadstream/internal/kafka"
)

func TestATransactionStaysWithinItsLimits(t *testing.T) {
	for _, c := range []struct {
		name              string
		forms, partitions int
		value             int // bytes
		want              int // leads
	}{
		{"one topic of one partition", 1, 1, 10, delivery.MaxLeads},
		{"one topic of a few", 1, 12, 10, delivery.MaxLeads},
		{"one topic of very many", 1, 1000, 10, kafka.MaxPartitions - 2},
		{"a thousand topics", 1000, 1, 10, kafka.MaxPartitions - 2},
		{"a thousand topics of many", 1000, 12, 10, kafka.MaxPartitions - 2},
		{"few topics of many", 20, 50, 10, kafka.MaxPartitions - 2},
		{"few topics of few", 20, 9, 10, delivery.MaxLeads},
		{"large leads", 1, 1, 1 << 20, 7},
		{"a lead larger than all", 1, 1, 9 << 20, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, n := newTxnBudget(), 0
			for r.take(strconv.Itoa(n%c.forms), c.partitions, c.value) {
				n++
			}
			if n != c.want {
				t.Errorf("%d leads fit, want %d", n, c.want)
			}
		})
	}
}

func TestTheLeadsOfATopicOfVeryManyPartitionsArePublishedInParts(t *testing.T) {
	w := newWorld(t)
	w.store.Partitions = 500
	r := prometheus.NewRegistry()
	w.opts.Metrics = NewMetrics(r)
	e := w.start()
	var want []string
	for i := range 400 {
		want = append(want, strconv.Itoa(i))
		w.linkedin.submit(strconv.Itoa(i), w.now())
	}
	w.tick(e, e.opts.Interval)
	w.expectIDs(formID, want...)
	if got := measured(t, r)[`leadstream_transactions_total{outcome="committed"}`]; got < 3 {
		t.Errorf("%v transactions, want 3 and more", got)
	}
}
