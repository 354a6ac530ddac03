/**
 * The console's page: it hears the node's snapshots, shows them, and says plainly when the node is gone. A
 * connection that ends, or says nothing for too long, is opened anew, for as long as the page is open.
 */
import type { EndedSnapshot, Snapshot } from '../snapshot.ts'
import { byId, document, el, type Feed, FeedSource, setText, statusOf } from './dom.ts'
import { GroupCard } from './group-card.ts'
import { TimeLineList } from './story.ts'
import { ago, plural } from './words.ts'

/** Snapshots come every second; after so many milliseconds without one the node counts as gone. */
const SILENT_MS = 4_000
const RETRY_MS = 2_000
const EVENTS = 'console/events'

const cards = new Map<number, GroupCard>()
const ended = new Map<number, TimeLineList>()
const link = byId('link')
const linkMark = byId('link-mark')
const linkText = byId('link-text')
const linkAge = byId('link-age')
const main = byId('cards')
const nav = byId('groups')
const empty = el('p', { class: 'empty' }, 'This process is in no group at the moment.')
let feed: Feed | undefined
let heardAt = 0
/** Why the node does not want to be watched, in words. */
let refusal = ''
let retryAt = 0
let layout = ''

function connect(): void {
  feed?.close()
  const opened = new FeedSource(EVENTS)
  feed = opened
  retryAt = Date.now() + SILENT_MS + RETRY_MS
  opened.addEventListener('snapshot', ({ data }) => {
    if (opened !== feed) return
    heardAt = Date.now()
    refusal = ''
    show(JSON.parse(data) as Snapshot)
    look()
  })
  opened.onerror = () => {
    // a browser goes on by itself after a lost connection, but not after a refusal, and does not say which it was
    if (opened.readyState === FeedSource.CLOSED) void askWhy()
    look()
  }
}

async function askWhy(): Promise<void> {
  const status = await statusOf(EVENTS)
  refusal =
    status === 401 || status === 403
      ? 'this node wants its token again: load the page anew'
      : status === 503
        ? 'too many pages of this node are open; close one'
        : ''
  look()
}

/** Says whether what is shown is live, and opens the connection anew where the browser has given up. */
function look(): void {
  const now = Date.now()
  const isLive = heardAt > 0 && now - heardAt < SILENT_MS
  // the first answer may take a moment
  const isWaiting = heardAt === 0 && refusal === '' && now < retryAt - RETRY_MS
  if (!isWaiting) {
    const gone = heardAt === 0 ? 'this node does not answer' : 'this node does not answer any more'
    link.className = isLive ? 'live' : 'gone'
    setText(linkMark, isLive ? '●' : '✕')
    setText(linkText, isLive ? 'live' : refusal !== '' ? refusal : `${gone}; trying again`)
    // seconds that tick are not for a screen reader to say
    setText(linkAge, isLive || heardAt === 0 ? '' : `; what stands here is ${ago(now - heardAt)} old`)
    document.querySelector('body')?.setAttribute('data-link', isLive ? 'live' : 'gone')
  }
  if (!isLive && now >= retryAt) connect()
}

function show(snapshot: Snapshot): void {
  const { at, node, groups, hiddenGroups } = snapshot
  setText(
    byId('node'),
    `${node.host}, process ${node.pid}, at ${node.address}, up ${ago(node.upSeconds * 1000)}`,
  )
  document.title = `${groups.map(({ port, isSequencer }) => (isSequencer ? `★ ${port}` : port)).join(', ') || 'no group'} · amoebacast`
  for (const group of groups) {
    let card = cards.get(group.key)
    if (card === undefined) {
      card = new GroupCard(group)
      cards.set(group.key, card)
    }
    card.show(group, at)
  }
  for (const one of snapshot.ended) {
    const list = ended.get(one.key) ?? new TimeLineList()
    ended.set(one.key, list)
    list.show(one.timeLine)
  }
  arrange(snapshot)
  nav.hidden = groups.length < 2
  if (hiddenGroups > 0) setText(empty, `${plural(hiddenGroups, 'more group')} of this process not shown.`)
}

/** Which cards there are, in which order; touched only when that changes. */
function arrange({ groups, ended: over, hiddenGroups }: Snapshot): void {
  const now = JSON.stringify([
    groups.map(({ key, port, memberId }) => [key, port, memberId]),
    over.map(({ key }) => key),
    hiddenGroups,
  ])
  if (now === layout) return
  layout = now
  const keys = new Set([...groups, ...over].map(({ key }) => key))
  for (const key of cards.keys()) if (!groups.some((group) => group.key === key)) cards.delete(key)
  for (const key of ended.keys())
    if (!keys.has(key) || !over.some((one) => one.key === key)) ended.delete(key)
  const shown = groups.flatMap(({ key }) => cards.get(key)?.element ?? [])
  const isEmpty = groups.length === 0 || hiddenGroups > 0
  main.replaceChildren(...shown, ...(isEmpty ? [empty] : []), ...over.map(endedCard))
  nav.replaceChildren(
    ...groups.map(({ key, port, memberId }) =>
      el('a', { href: `#group-${key}` }, `${port}, member ${memberId}`),
    ),
  )
}

function endedCard({ key, port, name }: EndedSnapshot) {
  const list = ended.get(key)?.element
  return el(
    'section',
    { class: 'card over' },
    el('h2', {}, `${port}: no member any more`),
    el('p', { class: 'badges' }, el('span', { class: 'badge' }, name)),
    ...(list === undefined ? [] : [list]),
  )
}

connect()
setInterval(look, 1_000)
