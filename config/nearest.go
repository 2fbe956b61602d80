package config

import "strings"

// nearest is the candidate that wanted was probably meant to be, empty when
// none is near: the one that differs in case only, one that ends in it, one
// that it begins with, else the one that the fewest changed letters lead to,
// at most a third of them.
func nearest(wanted string, candidates []string) string {
	wanted = strings.ToLower(wanted)
	best, least := "", len(wanted)/3+1
	for _, c := range candidates {
		if strings.EqualFold(c, wanted) {
			return c
		}
	}
	for _, c := range candidates {
		low := strings.ToLower(c)
		if strings.HasSuffix(low, "."+wanted) || strings.HasSuffix(low, "_"+wanted) || strings.HasPrefix(wanted, low) {
			return c
		}
		if d := distance(wanted, low); d < least {
			best, least = c, d
		}
	}
	return best
}

// distance counts the bytes to insert, delete, replace or swap with their
// neighbour to turn a into b (optimal string alignment).
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

// didYouMean is a hint to append to a reason, empty when nothing is near.
func didYouMean(wanted string, candidates []string) string {
	if n := nearest(wanted, candidates); n != "" {
		return ", did you mean " + n + "?"
	}
	return ""
}
