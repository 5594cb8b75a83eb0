// Judges checkpoints and proofs by Go's own packages: golang.org/x/mod/sumdb/note and tlog.
//
// A line of JSON comes in, a line of JSON goes out: whether the proof was accepted as it is, how many changes of a single
// bit were tried (of each hash of the proof, the roots, the leaf, the signed note, and of the index), and how many of them
// were accepted.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type question struct {
	Kind   string   `json:"kind"`
	Note   string   `json:"note"`
	Key    string   `json:"key"`
	Index  int64    `json:"index"`
	First  int64    `json:"first"`
	Second int64    `json:"second"`
	Leaf   string   `json:"leaf"`
	Root1  string   `json:"root1"`
	Root2  string   `json:"root2"`
	Proof  []string `json:"proof"`
}

type answer struct {
	Accepted bool   `json:"accepted"`
	Tried    int    `json:"tried"`
	Wrongly  int    `json:"wrongly"`
	Error    string `json:"error"`
}

func hash(text string) (h tlog.Hash) {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(data) != len(h) {
		panic("not a hash: " + text)
	}
	copy(h[:], data)
	return h
}

func hashes(texts []string) (found []tlog.Hash) {
	for _, text := range texts {
		found = append(found, hash(text))
	}
	return found
}

// openTree gives the tree of a checkpoint that the key has signed.
func openTree(text, key string) (tree tlog.Tree, err error) {
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return tree, err
	}
	opened, err := note.Open([]byte(text), note.VerifierList(verifier))
	if err != nil {
		return tree, err
	}
	// tlog.ParseTree wants the origin of Go's own log.
	rest := opened.Text
	for rest[0] != '\n' {
		rest = rest[1:]
	}
	return tlog.ParseTree([]byte("go.sum database tree" + rest))
}

func isStrict(text string) bool {
	fields := strings.Fields(text)
	_, err := base64.StdEncoding.Strict().DecodeString(fields[len(fields)-1])
	return err == nil
}

func flip(reply *answer, target *tlog.Hash, check func() bool) {
	for bit := 0; bit < 256; bit++ {
		target[bit/8] ^= 1 << (bit % 8)
		reply.Tried++
		if check() {
			reply.Wrongly++
		}
		target[bit/8] ^= 1 << (bit % 8)
	}
}

func judge(q question) (reply answer) {
	switch q.Kind {
	case "note":
		tree, err := openTree(q.Note, q.Key)
		if err != nil {
			return answer{Error: err.Error()}
		}
		reply.Accepted = tree.N == q.Second && tree.Hash == hash(q.Root2)
		text := []byte(q.Note)
		for bit := 0; bit < len(text)*8; bit++ {
			text[bit/8] ^= 1 << (bit % 8)
			reply.Tried++
			// Go reads base64 whose last, unused bits are not zero, which then stands for the same signature.
			if _, err := openTree(string(text), q.Key); err == nil && isStrict(string(text)) {
				reply.Wrongly++
			}
			text[bit/8] ^= 1 << (bit % 8)
		}
	case "record":
		proof, root, index := tlog.RecordProof(hashes(q.Proof)), hash(q.Root2), q.Index
		data, _ := base64.StdEncoding.DecodeString(q.Leaf)
		leaf := tlog.RecordHash(data)
		check := func() bool {
			return index < q.Second && tlog.CheckRecord(proof, q.Second, root, index, leaf) == nil
		}
		reply.Accepted = check()
		for at := range proof {
			flip(&reply, &proof[at], check)
		}
		flip(&reply, &root, check)
		flip(&reply, &leaf, check)
		for bit := 0; bit < 63; bit++ {
			index ^= 1 << bit
			reply.Tried++
			if check() {
				reply.Wrongly++
			}
			index ^= 1 << bit
		}
	case "tree":
		proof, old, root := tlog.TreeProof(hashes(q.Proof)), hash(q.Root1), hash(q.Root2)
		check := func() bool { return tlog.CheckTree(proof, q.Second, root, q.First, old) == nil }
		reply.Accepted = check()
		for at := range proof {
			flip(&reply, &proof[at], check)
		}
		flip(&reply, &old, check)
		flip(&reply, &root, check)
	}
	return reply
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var q question
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			panic(err)
		}
		if err := out.Encode(judge(q)); err != nil {
			panic(err)
		}
	}
}
