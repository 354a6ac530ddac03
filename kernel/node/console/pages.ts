/** The documents that the listener serves. Addresses are relative, so that a proxy may give them a path of its own. */

const head = (title: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>`

/** Filled by page/main.ts. */
export const consolePage = `${head('amoebacast')}
<link rel="icon" href="data:,">
<link rel="stylesheet" href="console/style.css">
<script type="module" src="console/main.js"></script>
</head>
<body>
<header>
<h1>amoebacast</h1>
<p id="node"></p>
<p id="link" role="status" aria-live="polite"><span id="link-mark" aria-hidden="true">…</span> <span id="link-text">connecting</span><span id="link-age" aria-hidden="true"></span></p>
</header>
<nav id="groups" aria-label="Groups of this process" hidden></nav>
<main id="cards"><noscript><p class="empty">This page is live, and needs JavaScript. The same numbers are at <a href="metrics">metrics</a>.</p></noscript></main>
<footer>
<p>Times are those of this browser. Served by the node itself; nothing is loaded from elsewhere. <a href="metrics">metrics</a> · <a href="healthz">healthz</a> · <a href="readyz">readyz</a></p>
</footer>
</body>
</html>
`

/** For a browser without the token. The token leaves the address at once, for a cookie. */
export const tokenPage = `${head('amoebacast: a token is needed')}
<link rel="icon" href="data:,">
<link rel="stylesheet" href="console/style.css">
</head>
<body>
<header><h1>amoebacast</h1></header>
<main class="card">
<p>This node shows its pages to those who have its token (<code>--http-token-file</code>).</p>
<form method="get">
<p><label>Token <input type="password" name="token" autocomplete="off" required></label> <button>Show</button></p>
</form>
</main>
</body>
</html>
`
