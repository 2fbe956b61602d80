//go:build integration

package delivery

import (
	"testing"
	"time"
)

// TestRealABrokerThatStampsRecordsByItsOwnClockHidesNothing: its clock is 50
// minutes behind ours and LinkedIn's.
func TestRealABrokerThatStampsRecordsByItsOwnClockHidesNothing(t *testing.T) {
	w := newRealWorld(t)
	w.create(map[string]string{"message.timestamp.type": "LogAppendTime"})
	w.now = w.now.Add(50 * time.Minute)
	s, _ := w.epoch()
	at := w.now.Add(-time.Second)
	publish(t, s, "", response("a", at))
	s, _ = w.epoch()
	expect(t, ask(t, s, s.NewView(""), w.window(-time.Minute, 0), response("a", at), response("b", at)), 1, 1, 0, 0)
}
