package linkedinsim

import (
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strconv"
)

// row is a lead, or a filler row that LinkedIn drops after it has cut the page.
// There can be millions, so it is small. Its number is its index in World.rows.
type row struct {
	submitted int64  // epoch milliseconds
	visible   int64  // epoch milliseconds; never before submitted unless asked for
	deleted   int64  // epoch milliseconds, 0 for not
	event     *Event // nil for none
	version   *Form
	extra     *extra // never nil
	kind      leadType
	flags     flags
}

type flags uint8

const (
	flagFiller flags = 1 << iota
	flagTest
	flagReplaced // the same id was submitted again later
	flagShown    // was visible when LinkedIn's clock was put back, and stays it
)

func (f flags) has(x flags) bool { return f&x != 0 }

// extra is what only leads made by the control API have. It does not change.
// What the spec leaves empty is the row's own.
type extra struct {
	LeadSpec
	defect *defect // nil for a sound lead
}

var noExtra extra

// leadType is an index into leadTypes.
type leadType uint8

var leadTypes = []string{"EVENT", "COMPANY", "ORGANIZATION_PRODUCT", "SPONSORED"}

const (
	kindEvent     leadType = 0
	kindSponsored leadType = 3
)

func parseLeadType(s string) (leadType, bool) {
	i := slices.Index(leadTypes, s)
	return leadType(max(i, 0)), i >= 0
}

func (k leadType) String() string { return leadTypes[k] }

// mix is the finaliser of splitmix64: every bit of the result depends on every
// bit of x, and different x give different results.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// chance is true for a share of the values of x, which must be well mixed.
func chance(x uint64, share float64) bool { return float64(x>>11)/(1<<53) < share }

// identity turns a row's number into a lead id and back, so that a million
// ids need no memory. The first eight hex digits of the id are the number times
// an odd constant plus another constant; the rest is a hash.
type identity struct {
	seed     uint64
	mul, inv uint32
	add      uint32
}

func newIdentity(seed uint64) identity {
	mul := uint32(mix(seed)) | 1
	inv := mul
	for range 4 { // Newton: each step doubles the number of right bits
		inv *= 2 - mul*inv
	}
	return identity{seed: seed, mul: mul, inv: inv, add: uint32(mix(seed + 1))}
}

// id is the id of row n: a UUID and "-6", as organic leads have it.
func (i identity) id(n uint32) string {
	var u [16]byte
	binary.BigEndian.PutUint32(u[:], n*i.mul+i.add)
	low := mix(i.seed ^ uint64(n))
	binary.BigEndian.PutUint32(u[4:], uint32(mix(low)))
	binary.BigEndian.PutUint64(u[8:], low)
	u[6] = u[6]&0x0f | 0x40 // UUID version 4
	u[8] = u[8]&0x3f | 0x80 // variant of RFC 9562
	x := hex.EncodeToString(u[:])
	return x[:8] + "-" + x[8:12] + "-" + x[12:16] + "-" + x[16:20] + "-" + x[20:] + "-6"
}

// row is the number of the row that has this id, if the id was made here.
func (i identity) row(id string) (uint32, bool) {
	first, err := strconv.ParseUint(id[:min(8, len(id))], 16, 32)
	n := (uint32(first) - i.add) * i.inv
	return n, err == nil && i.id(n) == id
}
