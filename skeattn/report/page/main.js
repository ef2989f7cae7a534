// The page from top to bottom.
document.querySelector('h1').textContent = report.runs.map(run => run.name).join(' · ');
showSummary();
showNumbers();
showCurves();
showMap();
showClasses();
showConfigs();
document.documentElement.dataset.ready = 'true';
