package kafka

import (
	"encoding/binary"
	"sync/atomic"

	kafkago "github.com/segmentio/kafka-go"
)

// balancerName is what the members of a group agree on; all of them must offer
// it. Another way to share the work needs another name.
const balancerName = "leadstream-sticky"

// sticky gives the work to one member and leaves it there while that member
// lives, so that a standby that joins disturbs nobody. Each member says in its
// user data in which generation it last held the work; the coordinator counts
// generations for the whole group, so the latest holder is known without
// comparing clocks, also when one that was paused comes back believing that
// the work is still its own.
type sticky struct {
	// held is the generation in which this member got or kept the work, 0
	// when it has none.
	held atomic.Int32
}

func (*sticky) ProtocolName() string { return balancerName }

// UserData is a format version, 1, and the generation. It is asked for at each
// join.
func (s *sticky) UserData() ([]byte, error) {
	return binary.BigEndian.AppendUint32([]byte{1}, uint32(s.held.Load())), nil
}

// AssignGroups runs on the member that the coordinator made the leader.
func (s *sticky) AssignGroups(members []kafkago.GroupMember, partitions []kafkago.Partition) kafkago.GroupMemberAssignments {
	assignments := kafkago.GroupMemberAssignments{}
	var chosen *kafkago.GroupMember
	for i := range members {
		m := &members[i]
		assignments[m.ID] = map[string][]int{}
		if chosen == nil || before(m, chosen) {
			chosen = m
		}
	}
	for _, p := range partitions {
		if chosen != nil {
			topics := assignments[chosen.ID]
			topics[p.Topic] = append(topics[p.Topic], p.ID)
		}
	}
	return assignments
}

// before reports whether a comes before b: the later holder, then, so that
// every leader decides alike, the smaller id.
func before(a, b *kafkago.GroupMember) bool {
	if x, y := assignment(a.UserData), assignment(b.UserData); x != y {
		return x > y
	}
	return a.ID < b.ID
}

// assignment reads a member's user data; what a later release writes behind it, or
// in another format, is no claim of this format.
func assignment(data []byte) int32 {
	if len(data) < 5 || data[0] != 1 {
		return 0
	}
	return int32(binary.BigEndian.Uint32(data[1:]))
}
