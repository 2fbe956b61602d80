package connector

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"leadstream/internal/delivery"
	"leadstream/internal/lead"
)

// TestATransactionHoldsTenThousandLeadsOrEightMebibytes: a reader that waits for
// whole transactions needs memory for no more, and one lead more makes another.
func TestATransactionHoldsTenThousandLeadsOrEightMebibytes(t *testing.T) {
	const committed = `leadstream_transactions_total{outcome="committed"}`
	for _, test := range []struct {
		leads, bytes int // of each answer
		want         float64
	}{
		{10_000, 5, 1},
		{10_001, 5, 2},
		{8, 1_000_000, 1},
		{9, 1_000_000, 2}, // 8 MiB are 8.39 million bytes
	} {
		t.Run(fmt.Sprintf("%d leads of %d bytes", test.leads, test.bytes), func(t *testing.T) {
			w := newWorld(t)
			r := prometheus.NewRegistry()
			w.opts.Metrics = NewMetrics(r)
			e := w.start()
			text := strings.Repeat("x", test.bytes)
			rows := make([]lead.Response, test.leads)
			for i := range rows {
				row := w.linkedin.submit(fmt.Sprint(i), w.now())
				row.Answers = []lead.Answer{{QuestionID: 1, Kind: lead.TextAnswer, Text: text}}
				rows[i] = row.Response
			}
			before := measured(t, r)[committed]
			j := &work{src: src, view: e.live, delivery: freshDelivery(w.now(), delivery.DeliveryLive, delivery.DeliveryLate)}
			window := lead.Window{From: w.now().Add(-time.Minute), To: w.now().Add(time.Minute)}
			if err := e.flush(t.Context(), j, window, rows, true); err != nil {
				t.Fatal(err)
			}
			if got := measured(t, r)[committed] - before; got != test.want {
				t.Errorf("%v transactions, want %v", got, test.want)
			}
			if got := len(w.topic(formID)); got != test.leads {
				t.Errorf("%d leads published, want %d", got, test.leads)
			}
		})
	}
}
