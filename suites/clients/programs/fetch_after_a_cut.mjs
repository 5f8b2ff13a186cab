// Asks for a stream that will be cut short, then for a whole answer on the same kept connections, again and again.
// Prints for each shape how many cuts were noticed, and how many of the next requests were answered.
const [url, key, shapes, times] = process.argv.slice(2)

const ask = (shape, stream) =>
  fetch(`${url}/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({ model: "mine/m", stream, messages: [{ role: "user", content: shape }] }),
  })

const counts = {}
for (const shape of shapes.split(",")) {
  const count = (counts[shape] = { noticed: 0, answered: 0 })
  for (let turn = 0; turn < Number(times); turn++) {
    try {
      const answer = await ask(shape, true)
      const text = await answer.text()
      if (answer.status >= 400 || text.includes("stream_truncated")) count.noticed++
    } catch {
      count.noticed++
    }
    try {
      const whole = await (await ask("whole", false)).json()
      if (whole.choices[0].message.content === "next") count.answered++
    } catch (error) {
      console.error(shape, error)
    }
  }
}
console.log(JSON.stringify(counts))
