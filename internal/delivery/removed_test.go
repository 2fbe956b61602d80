package delivery

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"leadstream/internal/lead"
)

// deleteRecords is DeleteRecords of the Kafka protocol (API key 21, version 0),
// which kafka-go does not have: everything before the offset goes.
func (w *world) deleteRecords(topic string, offset int64) {
	w.t.Helper()
	be := binary.BigEndian
	body := be.AppendUint16(nil, 21)
	body = be.AppendUint16(body, 0)
	body = be.AppendUint32(body, 7)       // correlation id
	body = be.AppendUint16(body, 1<<16-1) // no client id
	body = be.AppendUint32(body, 1)
	body = append(be.AppendUint16(body, uint16(len(topic))), topic...)
	body = be.AppendUint32(body, 1)
	body = be.AppendUint32(body, 0) // partition
	body = be.AppendUint64(body, uint64(offset))
	body = be.AppendUint32(body, 5000)
	conn, err := net.Dial("tcp", w.brokers[0])
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(append(be.AppendUint32(nil, uint32(len(body))), body...)); err != nil {
		w.t.Fatal(err)
	}
	head := make([]byte, 4)
	if _, err := io.ReadFull(conn, head); err != nil {
		w.t.Fatal(err)
	}
	answer := make([]byte, be.Uint32(head))
	if _, err := io.ReadFull(conn, answer); err != nil {
		w.t.Fatal(err)
	}
	if code := be.Uint16(answer[len(answer)-2:]); code != 0 {
		w.t.Fatalf("DeleteRecords answered %d", code)
	}
}

func TestRecordsDeletedByHandDoNotComeBackByThemselves(t *testing.T) {
	w := newWorld(t)
	s, _ := w.epoch()
	at := func(minutes int) time.Time { return w.now.Add(-time.Duration(minutes) * time.Minute) }
	begin := w.now
	for _, minutes := range []int{60, 40, 20} { // each published when it was submitted
		w.now = begin.Add(-time.Duration(minutes) * time.Minute)
		publish(t, s, "", response(lead.Stamp(w.now), w.now))
	}
	w.now = begin
	old := []*lead.Response{response(lead.Stamp(at(60)), at(60)), response(lead.Stamp(at(40)), at(40)), response(lead.Stamp(at(20)), at(20))}
	w.deleteRecords(topic, 4) // two leads and their markers
	s, _ = w.epoch()
	a := w.window(-2*time.Hour, time.Minute)
	a.Fresh = w.now
	late := response("late", at(10))
	expect(t, ask(t, s, s.Lane(""), a, append([]*lead.Response{late, response("new", w.now)}, old...)...), 2, 1, 2, 0)

	w.deleteRecords(topic, -1) // all of it
	s, _ = w.epoch()
	expect(t, ask(t, s, s.Lane(""), a, append([]*lead.Response{late, response("new", w.now)}, old...)...), 1, 0, 4, 0)
	a.Explicit = true
	expect(t, ask(t, s, s.Lane(""), a, old...), 3, 0, 0, 0)
}
