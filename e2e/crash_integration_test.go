//go:build integration

package e2e

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"leadstream/internal/realstack"
)

// kills is how often a process is killed in one run; LEADSTREAM_TEST_KILLS is
// for longer ones.
func kills(t testing.TB) int {
	n := 20
	if text := os.Getenv("LEADSTREAM_TEST_KILLS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatalf("LEADSTREAM_TEST_KILLS: %v", err)
		}
	}
	return n
}

// underLoad is a world with a backfill that takes long enough to be killed in,
// and leads that are submitted all the while. finish ends the load, waits for
// the last lead and compares; it gives the number of records whose transactions
// were cut off.
func underLoad(t testing.TB, o options) (w *world, finish func() (cut int)) {
	t.Helper()
	o.simulate = []string{"--leads", "20000"}
	w = newWorld(t, o)
	w.linkedin.goWrong(object{"kind": "latency", "latency": "50ms", "count": -1})
	stop := w.linkedin.stream(5, 100*time.Millisecond)
	return w, func() int {
		t.Helper()
		t.Logf("submitted under load: %d", stop())
		w.linkedin.wellAgain()
		w.await(60 * time.Second)
		committed := w.verify()
		if n := w.seen.repeated(); n > 0 {
			t.Errorf("the consumer that followed saw %d records twice", n)
		}
		all := consume(t, w.brokers, w.registry, w.prefix, "--isolation", "read_uncommitted")
		cut := len(all.records) - len(committed.records)
		t.Logf("records of transactions that a kill cut off: %d", cut)
		return cut
	}
}

// manyLeads is more than a transaction without leads writes, in bytes.
const manyLeads = 8 << 10

// points are where in a transaction a kill is aimed at.
var points = []trap{
	{api: apiProduce, answered: true, least: manyLeads},
	{api: apiEndTxn, least: manyLeads},
	{api: apiEndTxn, answered: true, least: manyLeads},
	{api: apiProduce, least: manyLeads},
	{api: apiAddPartitions, answered: true, skip: 1},
	{api: apiInitProducerID, answered: true},
	{api: apiEndTxn, answered: true, least: manyLeads, skip: 1},
	{api: apiProduce, answered: true, least: manyLeads, skip: 1},
}

// moment is how long after it became active a process is killed.
func moment() time.Duration { return time.Duration(rand.N(int64(1500 * time.Millisecond))) }

// TestKilledAtRandomMoments: kill -9 at random moments, and at the exact points
// of a transaction, loses and repeats nothing.
func TestKilledAtRandomMoments(t *testing.T) {
	t.Parallel()
	wire := stack.wires[wireOfKills]
	w, finish := underLoad(t, options{settings: map[string]string{"LEADSTREAM_KAFKA_BROKERS": wire.addr(), "LEADSTREAM_KAFKA_PARTITIONS": "3"}})
	for i := range kills(t) {
		aimed := i%5 >= 3 // two of five
		if !aimed {
			c := w.run()
			c.awaitActive(30 * time.Second)
			time.Sleep(moment())
			c.kill()
			continue
		}
		point := points[(i/5*2+i%5-3)%len(points)]
		sprung := make(chan struct{})
		point.fire = func() { close(sprung) }
		// Set before the start: InitProducerID comes before it is active.
		c := make(chan *connector, 1)
		fire := point.fire
		point.fire = func() {
			p := <-c
			c <- p
			p.kill()
			fire()
		}
		wire.arm(point)
		c <- w.run()
		select {
		case <-sprung:
		case <-time.After(30 * time.Second):
			t.Errorf("kill %d: no request %d came", i+1, point.api)
			wire.disarm()
			(<-c).kill()
		}
	}
	c := w.run()
	if cut := finish(); cut == 0 {
		t.Error("no kill cut a transaction off that held leads: the aim is bad")
	}
	if code, _ := c.stop(); code != 0 {
		t.Errorf("exit %d after all, want 0", code)
	}
}

// TestKilledWhileKafkaRestarts: the same while the broker is killed as well, by
// itself and together with the process.
func TestKilledWhileKafkaRestarts(t *testing.T) {
	t.Parallel()
	kafka := ownKafka(t)
	w, finish := underLoad(t, options{brokers: kafka.Addr(realstack.PLAINTEXT)})
	n := kills(t)
	for i := range n {
		c := w.run()
		c.awaitActive(90 * time.Second)
		time.Sleep(moment())
		if i%max(n/3, 1) == 1 && i < 3*max(n/3, 1) {
			if err := kafka.Kill(); err != nil {
				t.Fatal(err)
			}
			together := i > 1
			if together {
				c.kill() // nobody is left who knows what was acknowledged
			}
			time.Sleep(time.Duration(rand.N(int64(time.Second))))
			if err := kafka.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			if together {
				continue
			}
			if !c.running() {
				t.Errorf("the process ended with %d while Kafka was away", c.cmd.ProcessState.ExitCode())
			}
			time.Sleep(moment())
		}
		c.kill()
	}
	c := w.run()
	finish()
	if code, _ := c.stop(); code != 0 {
		t.Errorf("exit %d after all, want 0", code)
	}
}

// ownKafka is a broker that a scenario may kill.
func ownKafka(t testing.TB) *realstack.Kafka {
	t.Helper()
	kafka, err := realstack.StartKafka(t.Context(), realstack.KafkaOptions{Jars: stack.jars, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := kafka.Kill(); err != nil {
			t.Error(err)
		}
	})
	return kafka
}

// TestTwoProcessesTakeOver: of two processes one works; whichever is killed,
// the other goes on within ten seconds, after SIGTERM within two.
func TestTwoProcessesTakeOver(t *testing.T) {
	t.Parallel()
	w, finish := underLoad(t, options{})
	active, standby := w.pair()
	var killed, stopped []time.Duration
	n := kills(t)
	for i := range n + 3 {
		time.Sleep(moment())
		if standby.active() {
			t.Errorf("round %d: both are active", i+1)
		}
		begun := time.Now()
		if i < n {
			active.kill()
			active = w.runAs(active.name) // as an orchestrator does; whichever of both may go on
			active, standby = oneActive(t, 30*time.Second, active, standby)
			killed = append(killed, time.Since(begun))
			continue
		}
		standby.says(20*time.Second, `"standing by"`) // it has joined
		begun = time.Now()
		if code, took := active.stop(); code != 0 || took > 10*time.Second {
			t.Errorf("SIGTERM: exit %d after %v, want 0 within 10 s", code, took)
		}
		standby.awaitActive(30 * time.Second)
		stopped = append(stopped, time.Since(begun))
		active, standby = standby, w.runAs(active.name)
	}
	within(t, "takeover after kill -9", killed, 10*time.Second)
	within(t, "takeover after SIGTERM", stopped, 2*time.Second)
	finish()
	for _, c := range []*connector{active, standby} {
		if code, _ := c.stop(); code != 0 {
			t.Errorf("exit %d after all, want 0", code)
		}
	}
}
