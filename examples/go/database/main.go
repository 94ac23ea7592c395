// Database keeps the offsets where the results are: both are written in one transaction of PostgreSQL, and a consumer that
// starts asks the database where to begin. So each record counts once, whatever crashes when.
//
//	go run ./database localhost:9092 localhost:5432
package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"

	_ "github.com/lib/pq"
	"github.com/moldau-stream/moldau/examples/go/internal/tutorial"
	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	ctx, cancel := tutorial.Context()
	defer cancel()
	address := "localhost:5432"
	if len(os.Args) > 2 {
		address = os.Args[2]
	}
	db, err := sql.Open("postgres", "postgres://postgres@"+address+"/postgres?sslmode=disable")
	tutorial.Must(err)
	defer db.Close()
	for _, table := range []string{
		`CREATE TABLE IF NOT EXISTS results (topic text, value text, times int, PRIMARY KEY (topic, value))`,
		`CREATE TABLE IF NOT EXISTS offsets (topic text, part int, next bigint, PRIMARY KEY (topic, part))`,
	} {
		_, err := db.ExecContext(ctx, table)
		tutorial.Must(err)
	}
	topic := tutorial.Topic(ctx, "database", 2, 20)

	consume(ctx, db, topic, 7, true) // crashes within a transaction, after seven records
	consume(ctx, db, topic, 20, false)

	var records, most int
	tutorial.Must(db.QueryRowContext(ctx, `SELECT count(*), max(times) FROM results WHERE topic = $1`, topic).Scan(&records, &most))
	fmt.Printf("%d records in the database, the most frequent %d time(s)\n", records, most)
	tutorial.Expect(records == 20 && most == 1, "each of 20 records should be there once")
}

// consume writes results until so many are in the database, or crashes.
func consume(ctx context.Context, db *sql.DB, topic string, until int, crash bool) {
	begin := map[int32]kgo.Offset{}
	for p := range int32(2) {
		next := int64(0)
		err := db.QueryRowContext(ctx, `SELECT next FROM offsets WHERE topic = $1 AND part = $2`, topic, p).Scan(&next)
		if err != sql.ErrNoRows {
			tutorial.Must(err)
		}
		fmt.Printf("partition %d goes on at offset %d\n", p, next)
		begin[p] = kgo.NewOffset().At(next)
	}
	cl := tutorial.Client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: begin}))
	defer cl.Close()
	for total := 0; total < until; {
		tx, err := db.BeginTx(ctx, nil)
		tutorial.Must(err)
		for _, r := range tutorial.Poll(ctx, cl, 3) {
			_, err = tx.ExecContext(ctx, `INSERT INTO results VALUES ($1, $2, 1) ON CONFLICT (topic, value) DO UPDATE SET times = results.times + 1`, topic, string(r.Value))
			tutorial.Must(err)
			_, err = tx.ExecContext(ctx, `INSERT INTO offsets VALUES ($1, $2, $3) ON CONFLICT (topic, part) DO UPDATE SET next = $3`, topic, r.Partition, r.Offset+1)
			tutorial.Must(err)
		}
		if crash && total >= until/2 {
			tutorial.Must(tx.Rollback()) // as PostgreSQL does when the program is gone
			fmt.Println("crashed: neither results nor offsets of the last poll were kept")
			return
		}
		tutorial.Must(tx.Commit())
		tutorial.Must(db.QueryRowContext(ctx, `SELECT count(*) FROM results WHERE topic = $1`, topic).Scan(&total))
	}
}
