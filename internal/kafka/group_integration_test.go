//go:build integration

package kafka

import (
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"leadstream/internal/realstack"
)

// wantNumbers fails unless the topic holds 1, 2, 3, … as committed records: no
// gap, nothing twice, whoever wrote them.
func wantNumbers(t *testing.T, c *Client, topic string) int {
	t.Helper()
	got := values(t, c, topic, From{})
	for i, v := range got {
		if v != strconv.Itoa(i+1) {
			t.Fatalf("record %d is %s: lost or repeated", i+1, v)
		}
	}
	return len(got)
}

// TestTakeover: two members and each way in which the active one can go. The
// records of both together are one unbroken sequence.
func TestTakeover(t *testing.T) {
	c := real(t)
	addr := realAddr(t)
	topic := name(t, "progress")
	create(t, c, 1, topic)
	join := func() *memberProcess { return startMember(t, addr, topic, topic, topic) }

	first := join()
	first.await("wrote")
	t.Run("a standby disturbs nobody", func(t *testing.T) {
		second := join()
		eventually(t, "two members", func() bool { n, err := c.Admin.GroupMembers(t.Context(), topic); return err == nil && n == 2 })
		first.drain()
		before := first.did["wrote"]
		eventually(t, "more records", func() bool { first.drain(); return first.did["wrote"] > before+20 })
		second.drain()
		if first.did["initialised"] != 1 || first.did["standby"] != 0 || second.did["active"] != 0 {
			t.Errorf("first %v, second %v: want the first to go on as before", first.did, second.did)
		}
		second.signal(syscall.SIGTERM)
		second.await("left")
		if first.drain(); first.did["initialised"] != 1 {
			t.Error("a standby that left disturbed the active one")
		}
	})
	t.Run("killed", func(t *testing.T) {
		second := join()
		eventually(t, "two members", func() bool { n, err := c.Admin.GroupMembers(t.Context(), topic); return err == nil && n == 2 })
		first.signal(syscall.SIGKILL)
		took := second.await("wrote")
		t.Logf("takeover after kill -9: %v", took)
		if took > 10*time.Second {
			t.Errorf("takeover after kill -9 took %v, want at most 10 s", took)
		}
		first = second
	})
	t.Run("left", func(t *testing.T) {
		second := join()
		eventually(t, "two members", func() bool { n, err := c.Admin.GroupMembers(t.Context(), topic); return err == nil && n == 2 })
		first.signal(syscall.SIGTERM)
		took := second.await("wrote")
		t.Logf("takeover after SIGTERM: %v", took)
		if took > 2*time.Second {
			t.Errorf("takeover after SIGTERM took %v, want at most 2 s", took)
		}
		first.await("left")
		first = second
	})
	t.Run("paused", func(t *testing.T) {
		second := join()
		eventually(t, "two members", func() bool { n, err := c.Admin.GroupMembers(t.Context(), topic); return err == nil && n == 2 })
		first.signal(syscall.SIGSTOP)
		t.Logf("takeover after SIGSTOP: %v", second.await("wrote"))
		first.signal(syscall.SIGCONT)
		first.drain()
		wrote := first.did["wrote"]
		first.await("standby")
		second.drain()
		before := second.did["wrote"]
		eventually(t, "more records of the second", func() bool { second.drain(); return second.did["wrote"] > before+50 })
		first.drain()
		// One answer to a commit that was on its way may still come through.
		if extra := first.did["wrote"] - wrote; extra > 1 {
			t.Errorf("the paused member wrote %d records after it woke", extra)
		}
		if second.did["initialised"] != 1 {
			t.Errorf("the one that took over was disturbed by the one that woke: %v", second.did)
		}
		first.signal(syscall.SIGTERM)
		first.await("left")
		second.signal(syscall.SIGTERM)
		second.await("left")
	})
	if n, err := c.Admin.GroupMembers(t.Context(), topic); n != 0 || err != nil {
		t.Errorf("%d members are left, %v", n, err)
	}
	t.Logf("%d records, none lost and none repeated", wantNumbers(t, c, topic))
}

// TestTakingTurnsUnderKills: members are killed one after another in the midst
// of their transactions, and the sequence stays whole.
func TestTakingTurnsUnderKills(t *testing.T) {
	c := real(t)
	addr := realAddr(t)
	topic := name(t, "progress")
	create(t, c, 1, topic)
	active := startMember(t, addr, topic, topic, topic)
	active.await("wrote")
	for i := range 4 {
		next := startMember(t, addr, topic, topic, topic)
		eventually(t, "two members", func() bool { n, err := c.Admin.GroupMembers(t.Context(), topic); return err == nil && n >= 2 })
		time.Sleep(time.Duration(i) * 7 * time.Millisecond) // at different points of a transaction
		active.signal(syscall.SIGKILL)
		next.await("wrote")
		active = next
	}
	active.signal(syscall.SIGTERM)
	active.await("left")
	t.Logf("%d records, none lost and none repeated", wantNumbers(t, c, topic))
}

// TestBrokerRestartsUnderMembers: the group and the transactions find back by
// themselves.
func TestBrokerRestartsUnderMembers(t *testing.T) {
	k := own(t, realstack.KafkaOptions{QuickRestart: true})
	c := connect(t, Config{Brokers: []string{k.Addr(realstack.PLAINTEXT)}})
	topic := name(t, "progress")
	create(t, c, 1, topic)
	members := []*memberProcess{}
	for range 2 {
		members = append(members, startMember(t, k.Addr(realstack.PLAINTEXT), topic, topic, topic))
	}
	members[0].drain()
	wrote := func() int {
		n := 0
		for _, m := range members {
			m.drain()
			n += m.did["wrote"]
		}
		return n
	}
	for _, end := range []func() error{k.Kill, k.Stop} {
		before := wrote()
		eventually(t, "records", func() bool { return wrote() > before+20 })
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if err := k.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		before = wrote()
		eventually(t, "records after the restart", func() bool { return wrote() > before+20 })
		t.Logf("writing again %v after the broker was back", time.Since(start))
	}
	for _, m := range members {
		m.signal(syscall.SIGTERM)
		m.await("left")
	}
	if slices.ContainsFunc(members, func(m *memberProcess) bool { return m.did["failed"] > 0 }) {
		t.Error("a member failed")
	}
	t.Logf("%d records, none lost and none repeated", wantNumbers(t, c, topic))
}
