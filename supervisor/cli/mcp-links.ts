/**
 * `paios mcp`, `paios mcp NAME` and `paios mcp orphans`: who has registered which MCP server, and what runs
 * of it.
 */
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { createInterface } from 'node:readline/promises'
import { nearest, PaiosError } from '../errors.ts'
import type { Links, Orphan } from '../links/links.ts'
import type { CopyRow, Link, Row } from '../links/table.ts'
import type { Invocation } from './command.ts'
import { checkDocument, documentPath } from './document.ts'
import { formatSpan, paint, plain, shorten } from './render.ts'

async function look({ home: paiosHome }: Invocation): Promise<Links> {
  const path = documentPath(paiosHome)
  const mesh = existsSync(path) ? await checkDocument(path) : null
  const specs = mesh?.ok ? mesh.mesh.specs : []
  const { readLinks } = await import('../links/links.ts')
  const links = await readLinks({ home: homedir(), env: process.env, paiosHome, specs })
  if (mesh === null || mesh.ok) return links
  const problem = `${path} is not valid, so no service is matched: paios check`
  return { ...links, problems: [...links.problems, problem] }
}

const isTroubled = (rows: readonly Row[]) =>
  rows.some(({ dead, copies }) => dead.length > 0 || copies.some(({ standing }) => standing === 'orphan'))

/** Every server, one row each. Resolves to 1 if a link is dead or an orphan is left. */
export async function list(invocation: Invocation): Promise<number> {
  const { rows, problems } = await look(invocation)
  if (invocation.json) invocation.out(`${JSON.stringify({ servers: rows, problems })}\n`)
  else invocation.out(`${renderTable(rows, problems, invocation).join('\n')}\n`)
  return isTroubled(rows) ? 1 : 0
}

/**
 * What a name means, in full. Throws PaiosError `usage` for one that nobody gave; `verbs` are near misses
 * too.
 */
export async function show(name: string, verbs: readonly string[], invocation: Invocation): Promise<number> {
  const [{ rows }, { rowsNamed }] = await Promise.all([look(invocation), import('../links/table.ts')])
  const found = rowsNamed(rows, name)
  if (found.length === 0) {
    const names = rows.flatMap((row) => [row.name, ...row.links.map((link) => link.name)])
    const hint = nearest(name, [...names, ...verbs])
    const way = hint === null ? 'paios mcp lists them' : `did you mean ${hint}?`
    throw new PaiosError('usage', `no client has registered an MCP server '${plain(name)}' (${way})`)
  }
  if (invocation.json) invocation.out(`${JSON.stringify({ servers: found })}\n`)
  else invocation.out(`${found.map((row) => renderRow(row, invocation)).join('\n\n')}\n`)
  return isTroubled(found) ? 1 : 0
}

/** The copies that nobody talks to any more; with `--stop` ends them. Resolves to 1 if one is left. */
export async function orphans(invocation: Invocation): Promise<number> {
  const { json, out, has } = invocation
  if (has('yes') && !has('stop')) throw new PaiosError('usage', '--yes needs --stop')
  const { rows, orphans: found } = await look(invocation)
  const unproven = rows.flatMap((row) =>
    row.copies.filter(({ standing }) => standing === 'unproven').map((copy) => ({ row, copy })),
  )
  if (!json) out(renderOrphans(found, unproven, invocation))
  const isAgreed = has('stop') && found.length > 0 && (await agree(found.length, invocation))
  const ended = isAgreed ? await endAll(found, invocation) : []
  if (json) {
    const named = (row: Row, copy: CopyRow) => ({ server: row.name, command: row.target, ...copy })
    const proven = found.map(({ row, copy: { pid } }) =>
      named(row, row.copies.find((copy) => copy.pid === pid)!),
    )
    const guessed = unproven.map(({ row, copy }) => named(row, copy))
    out(`${JSON.stringify({ orphans: proven, unproven: guessed, ended })}\n`)
  }
  const left = isAgreed ? ended.filter(({ kind }) => kind === 'left').length : found.length
  return left > 0 ? 1 : 0
}

async function agree(count: number, { has, tty, json }: Invocation): Promise<boolean> {
  if (has('yes')) return true
  if (!tty || json || process.stdin.isTTY !== true) {
    throw new PaiosError('usage', 'there is no terminal to ask on: look first, then repeat with --stop --yes')
  }
  const prompt = createInterface({ input: process.stdin, output: process.stdout })
  try {
    return /^y(es)?$/i.test((await prompt.question(`End ${countOf(count, 'orphan')}? [y/N] `)).trim())
  } finally {
    prompt.close()
  }
}

async function endAll(found: readonly Orphan[], { json, out }: Invocation) {
  const ended: ({ readonly pid: number } & Awaited<ReturnType<Orphan['end']>>)[] = []
  for (const { copy, row, end } of found) {
    const result = await end()
    ended.push({ pid: copy.pid, ...result })
    if (json) continue
    const who = `${plain(row.name)}, pid ${copy.pid}`
    const pids = result.pids.length > 1 ? ` (pids ${result.pids.join(', ')})` : ''
    if (result.kind === 'ended') out(`ended ${who}${pids}\n`)
    else if (result.kind === 'spared') out(`left alone ${who}: ${plain(result.why ?? '')}\n`)
    else out(`still there: ${who}, pids ${result.left.join(', ')}\n`)
  }
  return ended
}

const countOf = (count: number, word: string) => `${count} ${word}${count === 1 ? '' : 's'}`

function sizeOf(bytes: number | null): string {
  if (bytes === null) return '-'
  const mebibytes = bytes / 1024 ** 2
  return mebibytes < 1024 ? `${mebibytes.toFixed(0)} MiB` : `${(mebibytes / 1024).toFixed(1)} GiB`
}

const ageOf = ({ startedAt }: CopyRow) =>
  startedAt === null ? '-' : formatSpan(Math.max(0, Date.now() - Date.parse(startedAt)))

/** `claude (user, local ×2), codex (disabled)`. */
function registeredWith(links: readonly Link[]): string {
  const clients = Map.groupBy(links, ({ client }) => client)
  const parts = [...clients].map(([client, own]) => {
    const words = Map.groupBy(own, ({ scope, off }) => off ?? scope)
    const shown = [...words].map(([word, same]) => (same.length > 1 ? `${word} ×${same.length}` : word))
    return `${client} (${shown.join(', ')})`
  })
  return parts.join(', ') || '-'
}

function copiesOf({ copies }: Row): string {
  const lost = copies.filter(({ standing }) => standing === 'orphan').length
  return lost === 0 ? String(copies.length) : `${copies.length} (${countOf(lost, 'orphan')})`
}

function renderTable(rows: readonly Row[], problems: readonly string[], layout: Invocation): string[] {
  const warnings = [...rows.flatMap(({ dead }) => dead), ...problems].map((line) =>
    paint(`! ${plain(line)}`, 'yellow', layout),
  )
  if (rows.length === 0) return ['no MCP server is registered with claude, codex or openclaw', ...warnings]
  const heads = ['SERVER', 'SERVICE', 'COPIES', 'MEMORY', 'REGISTERED WITH', 'COMMAND']
  const cells = rows.map((row) => [
    plain(row.name),
    row.service ?? '-',
    copiesOf(row),
    sizeOf(row.memoryBytes),
    registeredWith(row.links),
    plain(row.target),
  ])
  const widths = heads.map((head, column) =>
    Math.max(head.length, ...cells.map((row) => row[column]!.length)),
  )
  const line = (row: readonly string[]) =>
    shorten(row.map((cell, column) => cell.padEnd(widths[column]!)).join('  '), layout.columns).trimEnd()
  const lost = rows.some(({ copies }) => copies.some(({ standing }) => standing === 'orphan'))
  const hint = lost ? [`orphans are copies that nobody talks to any more: paios mcp orphans`] : []
  return [summaryOf(rows), paint(line(heads), 'dim', layout), ...cells.map(line), ...warnings, ...hint]
}

function summaryOf(rows: readonly Row[]): string {
  const links = rows.reduce((sum, row) => sum + row.links.length, 0)
  const copies = rows.flatMap((row) => row.copies)
  const processes = copies.reduce((sum, { pids }) => sum + pids.length, 0)
  const bytes = rows.reduce((sum, { memoryBytes }) => sum + (memoryBytes ?? 0), 0)
  const running = copies.length === 0 ? 'no copy runs' : `${copies.length} running (${sizeOf(bytes)})`
  const parts = [countOf(rows.length, 'server'), countOf(links, 'registration'), running]
  if (processes > copies.length) parts.push(`${processes} processes`)
  return parts.join(', ')
}

function renderRow(row: Row, layout: Invocation): string {
  const facts: [string, string][] = [
    ['id', row.id],
    ['kind', row.kind],
    [row.kind === 'http' ? 'url' : 'command', row.target],
    ['folder', row.cwd ?? ''],
    ['env', row.env.join(', ')],
    ['headers', row.headers.join(', ')],
    ['service', row.service ?? 'none of this mesh'],
  ]
  const lines = [paint(plain(row.name), 'bold', layout)]
  for (const [fact, text] of facts) if (text !== '') lines.push(`  ${fact.padEnd(9)} ${plain(text)}`)
  if (row.links.length > 0) lines.push('  registered')
  for (const { client, scope, name, project, file, off } of row.links) {
    const where = project === null ? '' : ` in ${project}`
    const use = off === null ? '' : `; ${off}`
    lines.push(`    ${plain(`${client} (${scope})${where}: as ${name}, ${file}${use}`)}`)
  }
  if (row.copies.length > 0) lines.push('  running')
  for (const copy of row.copies) {
    const text = `pid ${copy.pid}  ${ageOf(copy)}  ${sizeOf(copy.memoryBytes)}  ${copy.standing}: ${copy.why}`
    const others = copy.pids.length > 1 ? ` (${copy.pids.length} processes)` : ''
    lines.push(`    ${paint(plain(text + others), copy.standing === 'orphan' ? 'yellow' : 'green', layout)}`)
  }
  for (const fault of row.dead) lines.push(paint(`  ! ${plain(fault)}`, 'yellow', layout))
  return lines.join('\n')
}

type Guess = { readonly row: Row; readonly copy: CopyRow }

function renderOrphans(found: readonly Orphan[], unproven: readonly Guess[], layout: Invocation): string {
  const proven = found.map(({ row, copy: { pid } }) => ({
    row,
    copy: row.copies.find((copy) => copy.pid === pid)!,
  }))
  const line = ({ row, copy }: Guess) =>
    plain(`pid ${copy.pid}  ${ageOf(copy)}  ${sizeOf(copy.memoryBytes)}  ${row.name}: ${row.target}`)
  const lines = proven.map((orphan) => paint(line(orphan), 'yellow', layout))
  if (lines.length === 0) lines.push('no orphans')
  else if (!layout.has('stop')) lines.push('end them: paios mcp orphans --stop')
  for (const guess of unproven) {
    lines.push(paint(`${line(guess)}; not proven, left alone: ${plain(guess.copy.why)}`, 'dim', layout))
  }
  return `${lines.join('\n')}\n`
}
